from rest_framework.routers import SimpleRouter

from copytrade.api.ledger import CopyEventViewSet, CopyViewSet
from copytrade.api.views import RelationshipViewSet

router = SimpleRouter(trailing_slash=False)
# Before the relationships, whose ids would match the words.
router.register("copy-relationships/events", CopyEventViewSet, basename="copy-event")
router.register("copy-relationships/copies", CopyViewSet, basename="copy-order")
router.register("copy-relationships", RelationshipViewSet, basename="copy-relationship")

urlpatterns = router.urls
