update mymoment_logins set username_encrypted = %(new)s where id = %(id)s and username_encrypted = %(old)s
