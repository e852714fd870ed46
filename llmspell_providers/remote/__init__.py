"""Models behind other people's HTTP interfaces: vendors, and servers of one's own that speak OpenAI's."""
