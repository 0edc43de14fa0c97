# A VPC in three availability zones: public subnets for the load balancer and NAT, private subnets for the nodes and the
# database.

resource "aws_vpc" "this" {
  cidr_block           = var.vpc_cidr
  enable_dns_hostnames = true
  enable_dns_support   = true

  tags = { Name = "game-session" }
}

# Without rules here, Terraform removes the rules of the default security group, which allow all traffic within the group.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "game-session-unused" }
}

resource "aws_subnet" "public" {
  count = length(var.zones)

  vpc_id            = aws_vpc.this.id
  availability_zone = var.zones[count.index]
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, count.index)

  tags = {
    Name                     = "game-session-public-${var.zones[count.index]}"
    "kubernetes.io/role/elb" = "1"
  }
}

resource "aws_subnet" "private" {
  count = length(var.zones)

  vpc_id            = aws_vpc.this.id
  availability_zone = var.zones[count.index]
  cidr_block        = cidrsubnet(var.vpc_cidr, 3, count.index + 2)

  tags = {
    Name                              = "game-session-private-${var.zones[count.index]}"
    "kubernetes.io/role/internal-elb" = "1"
  }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "game-session" }
}

resource "aws_eip" "nat" {
  count = local.nat_gateways

  domain = "vpc"

  tags = { Name = "game-session-nat-${var.zones[count.index]}" }
}

resource "aws_nat_gateway" "this" {
  count = local.nat_gateways

  allocation_id = aws_eip.nat[count.index].id
  subnet_id     = aws_subnet.public[count.index].id

  tags = { Name = "game-session-${var.zones[count.index]}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this.id
  }

  tags = { Name = "game-session-public" }
}

resource "aws_route_table" "private" {
  count = length(var.zones)

  vpc_id = aws_vpc.this.id

  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.this[min(count.index, local.nat_gateways - 1)].id
  }

  tags = { Name = "game-session-private-${var.zones[count.index]}" }
}

resource "aws_route_table_association" "public" {
  count = length(var.zones)

  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  count = length(var.zones)

  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private[count.index].id
}

# VPC endpoints keep requests from pods and nodes to AWS inside the VPC. The NetworkPolicy of the pods allows the VPC and, beyond
# it, only the issuer of tokens: Cognito has no endpoint for a user pool with a domain, so its keys come through NAT.

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = aws_route_table.private[*].id

  tags = { Name = "game-session-s3" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.endpoints.id]

  tags = { Name = "game-session-${each.key}" }
}

resource "aws_security_group" "endpoints" {
  name        = "game-session-endpoints"
  description = "HTTPS from the nodes to AWS" # A change would replace the resource.
  vpc_id      = aws_vpc.this.id

  tags = { Name = "game-session-endpoints" }
}

# Inside the VPC, and for networks that use its DNS, the names of AWS's services are the endpoints' addresses.
resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  for_each = setunion([var.vpc_cidr], var.cluster_api_private_cidrs)

  security_group_id = aws_security_group.endpoints.id
  description       = "HTTPS from the VPC and connected networks"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = { Name = "game-session-endpoints" }
}

resource "aws_flow_log" "this" {
  vpc_id               = aws_vpc.this.id
  traffic_type         = "ALL"
  log_destination_type = "cloud-watch-logs"
  log_destination      = aws_cloudwatch_log_group.this["flow"].arn
  iam_role_arn         = aws_iam_role.this["flow-logs"].arn

  tags = { Name = "game-session" }
}

locals {
  nat_gateways = var.nat_gateway_per_zone ? length(var.zones) : 1

  # The service uses the first two, and must not depend on jwks_cidr to reach them. The nodes use the others
  # if node_endpoints is true, and NAT otherwise.
  interface_endpoints = toset(concat(
    ["logs", "secretsmanager"],
    var.node_endpoints ? ["ec2", "ecr.api", "ecr.dkr", "eks-auth", "sts"] : [],
  ))
}
