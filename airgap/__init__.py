"""Builds every image and tool of this project from package registries, for sites that reach no container registry."""
