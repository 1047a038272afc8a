"""The small model that ships inside the package, and the recipe that trained it."""
