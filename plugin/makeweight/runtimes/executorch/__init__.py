"""ExecuTorch: a module is captured by torch.export, quantized as a graph, and lowered to XNNPACK."""
