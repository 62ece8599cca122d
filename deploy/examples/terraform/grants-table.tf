# The table of requests for access and approvals. Without it nobody can request or approve.

variable "approvals" {
  description = "Whether people can request access that others approve."
  type        = bool
  default     = false
}

resource "aws_dynamodb_table" "grants" {
  count                       = var.approvals ? 1 : 0
  name                        = "${var.function_name}-grants"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "PK"
  deletion_protection_enabled = true

  attribute {
    name = "PK"
    type = "S"
  }

  attribute {
    name = "Kind"
    type = "S"
  }

  attribute {
    name = "CreatedAt"
    type = "N"
  }

  global_secondary_index {
    name            = "ByTime"
    hash_key        = "Kind"
    range_key       = "CreatedAt"
    projection_type = "ALL"
  }

  ttl {
    attribute_name = "TTL"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = var.rate_limit_table_key != "aws-owned"
    kms_key_arn = local.table_has_customer_key ? var.rate_limit_table_key : null
  }
}

# Whoever writes an item grants access. So only the function may, whatever IAM policies allow.
resource "aws_dynamodb_resource_policy" "grants" {
  count        = var.approvals ? 1 : 0
  resource_arn = aws_dynamodb_table.grants[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTheFunctionWrites"
      Effect    = "Deny"
      Principal = "*"
      Action = [
        "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:PartiQLDelete", "dynamodb:PartiQLInsert",
        "dynamodb:PartiQLUpdate", "dynamodb:PutItem", "dynamodb:UpdateItem",
      ]
      Resource  = "*"
      Condition = { ArnNotEquals = { "aws:PrincipalArn" = aws_iam_role.function.arn } }
    }]
  })
}

resource "aws_iam_role_policy" "decide_requests" {
  count = var.approvals ? 1 : 0
  name  = "decide-requests"
  role  = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "DecideRequests"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.grants[0].arn
      },
      {
        Sid      = "ListRequests"
        Effect   = "Allow"
        Action   = "dynamodb:Query"
        Resource = "${aws_dynamodb_table.grants[0].arn}/index/ByTime"
      },
    ]
  })
}

# With a customer managed key, DynamoDB calls kms:Decrypt in the name of the function.
resource "aws_iam_role_policy" "open_the_grants" {
  count = var.approvals && local.table_has_customer_key ? 1 : 0
  name  = "open-the-grants"
  role  = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "OpenTheGrants"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = var.rate_limit_table_key
      Condition = {
        StringEquals = {
          "kms:ViaService"                               = "dynamodb.${data.aws_region.current.name}.${data.aws_partition.current.dns_suffix}"
          "kms:EncryptionContext:aws:dynamodb:tableName" = aws_dynamodb_table.grants[0].name
        }
      }
    }]
  })
}
