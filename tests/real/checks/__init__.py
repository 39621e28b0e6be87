"""One file per concern; each has `run(report, plan)`."""
