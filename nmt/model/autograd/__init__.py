"""Functions with an explicit backward pass, because it is faster than that of autograd or needs less memory."""
