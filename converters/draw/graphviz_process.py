"""A program of its own: lay out the DOT graph on stdin with pygraphviz, write the file to stdout.

It runs apart from etsim, so that a fault in the layout's C code cannot take etsim down, and so that
a layout without end can be ended. Its one argument is the format.
"""

import sys

import pygraphviz

if __name__ == "__main__":
    graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
    sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
