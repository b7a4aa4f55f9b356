"""The peers and tools of the interoperability tests."""
