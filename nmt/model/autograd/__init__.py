"""Functions whose gradient is written by hand, because that is faster than autograd or needs less memory."""
