"""LiteRT, once TensorFlow Lite: https://ai.google.dev/edge/litert"""
