"""Train with two versions of the code and compare the weights."""
