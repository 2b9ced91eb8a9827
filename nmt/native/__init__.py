"""The native library: search of whole sentences in C, for networks of the core. Nothing in this package needs torch.

Read nmt.h for the interface of the library, network.h for a network in memory, encoder.h and decoder.h for the
computation of a network, and search.h for the search.
"""
