"""Esker beside Apache Kafka: the same calls to both, the answers compared field by field.

| module | what it does |
|---|---|
| `relay` | sends calls and takes answers, by `clients/relay/Relay.java` |
| `pair` | one call to both brokers: values that each makes up become names, the rest must be equal |
| `shape` | what of an answer is compared, and how |
| `differences` | the differences that stay, each with its reason |
| `batches` | record batches, good and bad |
| `world` | calls with the arguments that scripts usually give |
| `scripts_*` | what is asked in a fixed order |
| `chance` | what is asked at random, from a seed |
"""
