"""What the checks stand on: processes, brokers, buckets, the data set, fingerprints, and one line per check."""
