"""The neural network: a recurrent encoder and a decoder with attention. Losses are in nmt/training/objective.py."""
