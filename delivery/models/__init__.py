from delivery.models.feedback import Feedback
from delivery.models.observations import Arm, Observation

__all__ = ["Arm", "Feedback", "Observation"]
