"""One file per runtime: open a model file and run it, with numpy and the runtime alone."""
