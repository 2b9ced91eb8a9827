"""The neural network: a recurrent encoder and a decoder with attention.

The losses of training are in nmt/training/objective.py.
"""
