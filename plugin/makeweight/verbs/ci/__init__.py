"""`makeweight ci`: a change compressed, measured, judged against its base, and told; on GitHub and on a terminal.

Four phases, each of which the Action runs in a process of its own, so that no token is in the environment of a
process that runs the model's own code: `open`, `compress`, `measure`, `gate`.
"""
