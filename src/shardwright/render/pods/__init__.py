"""Programs that run inside the pods: standard library only, any Python from 3.8 on."""
