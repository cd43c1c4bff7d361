"""A serving cluster, event by event: engines, routers, links and what came of the requests."""
