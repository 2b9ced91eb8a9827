"""Functions with an explicit backward pass. It is faster than the backward pass of autograd, or needs less memory."""
