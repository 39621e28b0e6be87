"""One folder per client, each a small program around a client that nobody here wrote, and none of which knows Esker.

A program is started with the address of a broker and speaks JSON, a line at a time: a task on stdin, its outcome on stdout,
`{"done": ...}` or `{"failed": "words"}`. Keys, values and header values are base64 or null; a record is
`{"partition", "offset", "timestamp", "key", "value", "headers": [[name, value], ...]}`. Tasks, all the same for all clients
(what a client does not have stands in `checks/clients.py`, with the reason):

| do | with | done |
|---|---|---|
| hello | | version |
| produce | topic, codec, idempotent, records | offsets, in the order of records, or null if the client does not tell |
| read | topics: name -> partition -> last offset; committed | records: name -> list, all from the start to the last offset |
| commit | group, topic, offsets: partition -> offset, metadata | |
| committed | group, topic, partitions | offsets: partition -> offset |
| since | topic, partition, timestamp | record: the first from that time on, by a seek |
| member | topic, group, protocol: classic or consumer | events until the next line on stdin: `{"assigned": [...]}`, and `{"records": [[partition, offset], ...]}` once they are committed |
| transact | topic, id, rounds: a list of records, commit | each round is a transaction, committed or aborted |
| copy | id, group, input, output, until: partition -> last offset | as a member of the group, records and offsets in transactions |
| fence | topic, id | refused: what the older of two producers with one id is told |
| create | topic, partitions, configs | |
| configs | topic | configs: name -> value |
| groups | | groups: names |
| group | group, protocol | state, members: how many |
| delete_records | topic, partition, offset | low: the new start |
| delete | topic | |
"""
