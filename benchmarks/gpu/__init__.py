"""What record_gpu.py runs on a machine with a GPU: models, the runs made of them, kernels."""
