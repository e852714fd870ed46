"""What kernel and the workers of RAG say to each other: records of frames, the standard library alone."""
