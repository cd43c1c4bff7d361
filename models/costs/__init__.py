"""What work takes how long where: operators' work, the analytic device model, transfer, prices."""
