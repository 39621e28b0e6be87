"""DuckDB over the sealed segments of topics: each topic is a view of its name, over the live objects and nothing else."""
import duckdb


def over(broker, topics, query):
    """Seals the topics, and returns the rows of a query; the broker keeps its bucket in a folder."""
    db = duckdb.connect(config={"threads": 1})
    for topic in topics:
        broker.esker("seal", topic, timeout_s=300)
        paths = broker.esker("segments", topic, "--paths").stdout.split()
        db.read_parquet(paths).create_view(topic)
    return db.sql(query).fetchall()
