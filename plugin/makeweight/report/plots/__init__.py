"""Charts as SVG text: pure functions of numbers, without a script, a font file or a network address in them."""
