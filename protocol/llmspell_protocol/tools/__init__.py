"""What kernel, command line and workers say about tools. Knows no tool."""
