"""An ordinary team's Django application, whose tasks know Rowlock and nothing of its connections."""
