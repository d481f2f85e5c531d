from django.urls import path

from groups import views

urlpatterns = [
    path("groups", views.group_list, name="group-list"),
    path("groups/new", views.group_create, name="group-create"),
    path("groups/<uuid:group_id>", views.group_detail, name="group-detail"),
    path("groups/<uuid:group_id>/edit", views.group_update, name="group-update"),
    path("groups/<uuid:group_id>/members", views.group_members, name="group-members"),
    path("groups/<uuid:group_id>/delete", views.group_delete, name="group-delete"),
]
