"""Functions with an explicit backward pass, which is faster than autograd or needs less memory."""
