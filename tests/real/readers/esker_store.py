"""`esker consume --store`: the bucket alone, with no broker."""
from .common import task
from .esker import consume

work = task()
consume(work, "--store", work["store"])
