"""The minimisers and the schedule from coarse to fine.

A minimiser is made with an `Objective` and a start, and has
    `advance(n)`: take n steps, or as many as there are until it is `finished`; how many it took;
    `evaluate()`: the losses of its best iterate, and the iterate, (1, H, W, 3) less the mean pixel;
    `state()`: a list of arrays with which another one goes on, bit for bit, from here;
    `finished`: whether no further step would lower the loss.
"""
