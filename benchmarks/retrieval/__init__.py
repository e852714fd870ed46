"""How well search finds the right passage: passages, judged questions about them, and what a ranking is worth."""
