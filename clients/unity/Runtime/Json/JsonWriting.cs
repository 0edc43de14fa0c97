using Newtonsoft.Json.Linq;

namespace GameApi.Json
{
    /// <summary>Adds the members of request bodies that are set.</summary>
    internal static class JsonWriting
    {
        /// <summary>Adds a member unless it is null.</summary>
        internal static void AddUnlessNull(this JObject json, string name, JToken value)
        {
            // The token of a string that is null has the type String, so its type does not tell.
            bool isNull = value == null || (value is JValue && ((JValue)value).Value == null);
            if (!isNull)
            {
                json[name] = value;
            }
        }

        internal static void AddIfSet(this JObject json, string name, Optional<string> field)
        {
            if (field.IsSet)
            {
                json[name] = field.Value;
            }
        }

        internal static void AddIfSet(this JObject json, string name, Optional<int> field)
        {
            if (field.IsSet)
            {
                json[name] = field.Value;
            }
        }

        internal static void AddIfSet(this JObject json, string name, Optional<bool> field)
        {
            if (field.IsSet)
            {
                json[name] = field.Value;
            }
        }

        internal static void AddIfSet(this JObject json, string name, Optional<Attributes> field)
        {
            if (field.IsSet)
            {
                json[name] = field.Value?.ToJson();
            }
        }
    }
}
