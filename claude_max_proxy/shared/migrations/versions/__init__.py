"""The steps by which the tables came about, the first of them `0001`."""
