"""From points, boxes and masks to the masks of the objects that they mean."""
