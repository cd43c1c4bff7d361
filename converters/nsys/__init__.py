"""Nsight Systems' sqlite exports: each recorded process becomes an execution graph."""
