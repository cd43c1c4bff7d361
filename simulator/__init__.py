"""How time passes in the world: replay, analyses, serving. Never meets the converters."""
