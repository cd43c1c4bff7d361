"""Serving of language models: model cards, step times, queues, memory, fleets, step costs."""
