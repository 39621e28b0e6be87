"""DuckDB over the sealed segments of topics: each topic is a view of its name, over the live objects and nothing else."""
import duckdb


def sealed(broker, topic):
    """Seals a topic; the paths of its segments. There are none while all of it belongs to a transaction that is open."""
    broker.esker("seal", topic, timeout_s=300)
    return broker.esker("segments", topic, "--paths").stdout.split()


def over(broker, topics, query):
    """Seals the topics, and returns the rows of a query; the broker keeps its bucket in a folder."""
    db = duckdb.connect(config={"threads": 1})
    for topic in topics:
        db.read_parquet(sealed(broker, topic)).create_view(topic)
    return db.sql(query).fetchall()
