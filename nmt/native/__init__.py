"""The native library: search of whole sentences in C, for networks of the core. Nothing in this package needs torch.

Read nmt.h for the interface of the library, network.h for a network in memory, encoder.h and decoder.h for the
computation of a network, and search.h for the search.

The .h files contain the bodies of functions, because engine.c includes them and is compiled once for each kind of
processor. Each of these variants has its own copy of all functions of the search.
"""
