"""TorchScript and torch.export files, by torch itself.

Both hold a program, and running it runs what somebody else wrote: torch operations only, in TorchScript's interpreter
or in a graph of torch.export, and no Python of the file. Reading them unpickles nothing but tensors: TorchScript's
reader knows no Python objects, and a torch.export file is read by its schema.
"""
