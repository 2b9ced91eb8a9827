"""Packed networks, which are copies of trained networks. They are optimized for inference on a CPU.

A packed network computes in int8, bfloat16 or float32.
"""
