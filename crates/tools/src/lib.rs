//! crm_mon, cibadmin, crm_resource and their neighbours.
