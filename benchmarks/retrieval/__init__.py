"""How well search finds the right passage: a set of passages and judged questions, and what a ranking of it is worth."""
