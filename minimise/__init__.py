"""The minimisers and the schedule from coarse to fine.

A minimiser is made with an `Objective` and a start, and has
    `advance(n)`: take n steps, or as many as there are until it is `finished`;
    `best()`: its best iterate, (1, H, W, 3) less the mean pixel, with its losses;
    `state()`: a list of arrays with which another is made that goes on from here;
    `finished`: whether no further step would lower the loss;
    `close()`: let go of whatever it holds.
"""
