"""The pages on which something is traded, closed, locked or armed."""

from django.urls import path

from risk.views import arming, enforcement, notices, order_changes, orders, portfolio, ticket

urlpatterns = [
    path("portfolio", portfolio.portfolio, name="portfolio"),
    path("portfolio/figures", portfolio.portfolio_figures, name="portfolio-figures"),
    path("standing", enforcement.standing, name="standing"),
    path("close-all", enforcement.close_everything, name="close-all"),
    path("close-all/runs", enforcement.runs, name="runs"),
    path(
        "accounts/<uuid:account_id>/close-all", enforcement.close_account, name="account-close-all"
    ),
    path("groups/<uuid:group_id>/close-all", enforcement.close_group, name="group-close-all"),
    path("accounts/<uuid:account_id>/unlock", enforcement.account_unlock, name="account-unlock"),
    path(
        "accounts/<uuid:account_id>/enforcements",
        enforcement.account_enforcements,
        name="account-enforcements",
    ),
    path("accounts/<uuid:account_id>/ticket", ticket.order_ticket, name="order-ticket"),
    path("accounts/<uuid:account_id>/ticket/answer", ticket.answer, name="ticket-answer"),
    path("accounts/<uuid:account_id>/ticket/symbols", ticket.ticket_symbols, name="ticket-symbols"),
    path("accounts/<uuid:account_id>/orders", orders.account_orders, name="account-orders"),
    path(
        "accounts/<uuid:account_id>/orders/log", orders.account_order_log, name="account-order-log"
    ),
    path(
        "accounts/<uuid:account_id>/orders/<uuid:order_id>",
        orders.account_order,
        name="account-order",
    ),
    path(
        "accounts/<uuid:account_id>/orders/<uuid:order_id>/outcome",
        ticket.order_outcome,
        name="order-outcome",
    ),
    *(
        path(f"accounts/<uuid:account_id>/{address}", view, name=name)
        for address, view, name in (
            ("positions/<int:ticket>/close", order_changes.position_close, "position-close"),
            ("positions/<int:ticket>/change", order_changes.position_change, "position-change"),
            ("pending/<int:ticket>/change", order_changes.pending_change, "pending-change"),
            ("pending/<int:ticket>/cancel", order_changes.pending_cancel, "pending-cancel"),
        )
    ),
    path("accounts/<uuid:account_id>/notices", notices.notices, name="account-notices"),
    path("accounts/<uuid:account_id>/arming", arming.account_arming, name="account-arming"),
    path("accounts/<uuid:account_id>/arming/hint", arming.arming_hint, name="account-arming-hint"),
    path("rules/<uuid:rule_id>/arming", arming.rule_arming, name="rule-arming"),
]
