# The database. It is encrypted and reachable only from the nodes, over TLS. AWS creates and rotates its password.

locals {
  database_port       = 27017
  database_secret_arn = one(aws_docdb_cluster.this.master_user_secret).secret_arn
}

resource "aws_docdb_subnet_group" "this" {
  name        = local.database
  description = "Private subnets"
  subnet_ids  = aws_subnet.private[*].id

  tags = { Name = local.database }
}

resource "aws_docdb_cluster_parameter_group" "this" {
  name_prefix = "${local.database}-"
  description = "TLS, and a log of who did what and of what was slow" # A change would replace the resource.
  family      = "docdb${regex("^[0-9]+\\.[0-9]+", var.db_engine_version)}"

  parameter {
    name  = "tls"
    value = "enabled"
  }

  parameter {
    name  = "audit_logs"
    value = "enabled"
  }

  parameter {
    name  = "profiler"
    value = "enabled"
  }

  parameter {
    name  = "profiler_threshold_ms"
    value = "100"
  }

  tags = { Name = local.database }

  # Another engine version needs a group of another family. AWS refuses to delete the old group while the cluster uses it.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "database" {
  name        = local.database
  description = "The database, from the nodes alone" # A change would replace the resource.
  vpc_id      = aws_vpc.this.id

  tags = { Name = local.database }
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = aws_security_group.database.id
  description                  = "The nodes and their pods"
  referenced_security_group_id = aws_security_group.nodes.id
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port

  tags = { Name = local.database }
}

# The time at which the database was created is part of its final snapshot's name, so that no earlier snapshot has that name.
resource "terraform_data" "database_created" {
  input = plantimestamp()

  lifecycle {
    ignore_changes = [input]
  }
}

resource "aws_docdb_cluster" "this" {
  # checkov:skip=CKV_AWS_360:five days are the required retention; take a manual snapshot to keep data for longer
  cluster_identifier = local.database
  engine             = "docdb"
  engine_version     = var.db_engine_version
  port               = local.database_port

  # `db_engine_version` decides. AWS would refuse another major version without the first, and without the second, it would wait for
  # the maintenance window, and each plan until then would show the change again.
  allow_major_version_upgrade = true
  apply_immediately           = true

  # AWS keeps the password in Secrets Manager and rotates it every seven days.
  master_username             = var.db_username
  manage_master_user_password = true

  db_subnet_group_name            = aws_docdb_subnet_group.this.name
  db_cluster_parameter_group_name = aws_docdb_cluster_parameter_group.this.name
  vpc_security_group_ids          = [aws_security_group.database.id]

  storage_encrypted = true
  kms_key_id        = aws_kms_key.data.arn

  backup_retention_period      = 5
  preferred_backup_window      = "07:00-09:00"
  preferred_maintenance_window = "tue:09:30-tue:10:30"

  # The snapshot does not depend on `protected`, which has to be false before anything can be destroyed.
  deletion_protection       = var.protected
  skip_final_snapshot       = !var.db_final_snapshot
  final_snapshot_identifier = var.db_final_snapshot ? "${local.database}-final-${formatdate("YYYYMMDDhhmmss", terraform_data.database_created.output)}" : null

  enabled_cloudwatch_logs_exports = ["audit", "profiler"]

  tags = { Name = local.database }

  depends_on = [aws_cloudwatch_log_group.this]
}

resource "aws_docdb_cluster_instance" "this" {
  count = var.db_instance_count

  identifier         = "${local.database}-${count.index}"
  cluster_identifier = aws_docdb_cluster.this.id
  instance_class     = var.db_instance_class
  apply_immediately  = true
  ca_cert_identifier = "rds-ca-rsa2048-g1"

  auto_minor_version_upgrade   = true
  copy_tags_to_snapshot        = true
  preferred_maintenance_window = "tue:09:30-tue:10:30"

  tags = { Name = "${local.database}-${count.index}" }
}
